#include "kernels/avx2/vector.hpp"

#include "kernels/generic/flat.hpp"
