#include "kernels/portable/vector.hpp"

#include "kernels/generic/scatter.hpp"
