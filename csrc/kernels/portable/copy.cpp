#include "kernels/portable/vector.hpp"

#include "kernels/generic/copy.hpp"
