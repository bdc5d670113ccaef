#include "kernels/neon/vector.hpp"

#include "kernels/generic/lookup.hpp"
