#include "kernels/avx2/vector.hpp"

#include "kernels/generic/depthwise_rows.hpp"
