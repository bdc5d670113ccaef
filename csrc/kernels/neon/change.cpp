#include "kernels/neon/vector.hpp"

#include "kernels/generic/change.hpp"
