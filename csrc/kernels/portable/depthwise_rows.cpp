#include "kernels/portable/vector.hpp"

#include "kernels/generic/depthwise_rows.hpp"
