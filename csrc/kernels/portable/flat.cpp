#include "kernels/portable/vector.hpp"

#include "kernels/generic/flat.hpp"
