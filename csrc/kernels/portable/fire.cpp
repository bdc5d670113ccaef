#include "kernels/portable/vector.hpp"

#include "kernels/generic/fire.hpp"
