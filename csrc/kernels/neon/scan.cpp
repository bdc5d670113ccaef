#include "kernels/neon/vector.hpp"

#include "kernels/generic/scan.hpp"
