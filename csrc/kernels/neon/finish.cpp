#include "kernels/neon/vector.hpp"

#include "kernels/generic/finish.hpp"
