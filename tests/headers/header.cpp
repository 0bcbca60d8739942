#include "nnmeter/nnmeter.h"

int main() { return NNM_OK; }
