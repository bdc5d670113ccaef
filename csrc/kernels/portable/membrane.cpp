#include "kernels/portable/vector.hpp"

#include "kernels/generic/membrane.hpp"
