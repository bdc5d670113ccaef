#include "kernels/avx512/vector.hpp"

#include "kernels/generic/split.hpp"
