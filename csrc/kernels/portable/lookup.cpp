#include "kernels/portable/vector.hpp"

#include "kernels/generic/lookup.hpp"
