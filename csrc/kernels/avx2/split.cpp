#include "kernels/avx2/vector.hpp"

#include "kernels/generic/split.hpp"
