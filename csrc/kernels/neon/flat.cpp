#include "kernels/neon/vector.hpp"

#include "kernels/generic/flat.hpp"
