#include "kernels/neon/vector.hpp"

#include "kernels/generic/scatter.hpp"
