#include "kernels/neon/vector.hpp"

#include "kernels/generic/copy.hpp"
