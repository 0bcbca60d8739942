#include "nnmeter/nnmeter.h"

int main(void) { return NNM_OK; }
