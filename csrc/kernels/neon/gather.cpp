#include "kernels/neon/vector.hpp"

#include "kernels/generic/gather.hpp"
