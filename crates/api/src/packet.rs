//! The header that travels with every packet.

/// All a consumer needs to detect loss, to place samples in time and to know the settings they were made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PacketHeader {
    /// Packet number within its stream; a jump of n means n - 1 packets were lost inside the plane.
    pub seq: u64,
    /// Index of the first sample since acquisition began; counts through pauses and losses.
    pub first_sample: u64,
    /// Host monotonic time of the first sample, see [`crate::clock`].
    pub timestamp_ns: u64,
    /// Valid frames in this packet.
    pub batch_size: u32,
    /// Channels per frame.
    pub channels: u16,
    /// Rises by one whenever a parameter upstream was applied.
    pub param_epoch: u32,
    /// What happened before or in this packet.
    pub flags: Flags,
}

impl PacketHeader {
    /// Index of the sample after the last of this packet.
    #[inline]
    pub fn end_sample(&self) -> u64 {
        self.first_sample + u64::from(self.batch_size)
    }
}

/// A set of the marks a packet can carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// Samples were lost before this packet.
    pub const GAP: Self = Self(1);
    /// The device's data had to be searched for its next frame before this packet.
    pub const RESYNC: Self = Self(1 << 1);
    /// The device came back before this packet.
    pub const RECONNECTED: Self = Self(1 << 2);
    /// The pipeline was paused before this packet.
    pub const RESUMED: Self = Self(1 << 3);
    /// The reader jumped to another place of a recording before this packet.
    pub const SEEKED: Self = Self(1 << 4);

    /// These marks and `other`'s.
    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if every mark of `other` is set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
