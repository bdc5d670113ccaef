#include "kernels/neon/vector.hpp"

#include "kernels/generic/membrane.hpp"
