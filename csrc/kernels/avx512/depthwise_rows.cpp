#include "kernels/avx512/vector.hpp"

#include "kernels/generic/depthwise_rows.hpp"
