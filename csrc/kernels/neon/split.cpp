#include "kernels/neon/vector.hpp"

#include "kernels/generic/split.hpp"
