#include "kernels/avx512/vector.hpp"

#include "kernels/generic/scatter.hpp"
