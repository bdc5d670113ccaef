#include "kernels/avx512/half.hpp"

#include "kernels/generic/depthwise.hpp"
