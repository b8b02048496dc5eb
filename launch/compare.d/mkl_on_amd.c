// Loaded before PyTorch by LD_PRELOAD. MKL asks this function of its own whether the CPU is Intel's, and takes slower
// kernels where it is not; AMD's CPUs run the faster ones just as well.

int mkl_asked; // how often: a PyTorch without MKL, or one that hides the function, never asks

int mkl_serv_intel_cpu_true(void) {
    mkl_asked++;
    return 1;
}
