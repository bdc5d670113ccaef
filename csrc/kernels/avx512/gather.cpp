#include "kernels/avx512/half.hpp"

#include "kernels/generic/gather.hpp"
