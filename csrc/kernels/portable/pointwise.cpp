#include "kernels/portable/vector.hpp"

#include "kernels/generic/pointwise.hpp"
