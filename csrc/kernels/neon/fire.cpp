#include "kernels/neon/vector.hpp"

#include "kernels/generic/fire.hpp"
