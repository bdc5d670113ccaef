#include "kernels/portable/vector.hpp"

#include "kernels/generic/gather.hpp"
