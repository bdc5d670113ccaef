#include "kernels/portable/vector.hpp"

#include "kernels/generic/split.hpp"
