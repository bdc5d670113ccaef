#include "kernels/portable/vector.hpp"

#include "kernels/generic/change.hpp"
