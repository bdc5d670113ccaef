#include "kernels/neon/vector.hpp"

#include "kernels/generic/depthwise.hpp"
