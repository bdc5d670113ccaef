#include "kernels/neon/vector.hpp"

#include "kernels/generic/pointwise.hpp"
