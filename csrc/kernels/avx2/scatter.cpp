#include "kernels/avx2/vector.hpp"

#include "kernels/generic/scatter.hpp"
