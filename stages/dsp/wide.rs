//! Runs arithmetic on the widest vectors the processor at hand has; the program itself is built for any of its kind.

/// A piece of arithmetic for [`wide`]. What it calls must be `#[inline(always)]` too: a function that is called as
/// such stays as it was compiled.
pub trait Kernel {
    /// Does the work; to be `#[inline(always)]`.
    fn run(self);
}

/// Runs `kernel` once, compiled for AVX2 where the processor has it. Only the vectors are wider, no operation is
/// fused or reordered: every machine gets the same bits.
pub fn wide(kernel: impl Kernel) {
    pulp::Arch::new().dispatch(Work(kernel));
}

struct Work<K>(K);

impl<K: Kernel> pulp::WithSimd for Work<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.0.run();
    }
}
