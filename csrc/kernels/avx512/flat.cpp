#include "kernels/avx512/vector.hpp"

#include "kernels/generic/flat.hpp"
