//! Where group messages are sent.

use core::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::ids::{FabricId, GroupId};

/// The UDP port of all Matter messages to groups.
pub const GROUP_PORT: u16 = 5540;

/// Which multicast address the messages of a group go to: its sender and its receivers must agree.
/// [Core, "IPv6 Multicast Addressing"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MulticastAddress {
    /// An address for each group of each fabric: every group that the Groupcast cluster did not
    /// make.
    ///
    /// ```text
    /// FF35:0040:FDii:iiii:iiii:iiii:ii00:gggg     i: fabric id, g: group id
    /// ```
    #[default]
    PerGroup,
    /// `FF05::FA`, which all groups of all fabrics share.
    Shared,
}

impl MulticastAddress {
    /// Returns the address to join or to send to.
    #[must_use]
    pub fn of(self, fabric: FabricId, group: GroupId) -> Ipv6Addr {
        match self {
            Self::PerGroup => {
                let [a, b, c, d, e, f, g, h] = fabric.get().to_be_bytes();
                let [g0, g1] = group.get().to_be_bytes();
                let bytes = [0xFF, 0x35, 0x00, 0x40, 0xFD, a, b, c, d, e, f, g, h, 0, g0, g1];
                Ipv6Addr::from(bytes)
            }
            Self::Shared => Ipv6Addr::new(0xFF05, 0, 0, 0, 0, 0, 0, 0xFA),
        }
    }

    /// Returns the same with the port, and without an interface: the socket's default.
    #[must_use]
    pub fn socket_address(self, fabric: FabricId, group: GroupId) -> SocketAddr {
        SocketAddr::V6(SocketAddrV6::new(self.of(fabric, group), GROUP_PORT, 0, 0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::std_instead_of_alloc, reason = "tests have std and panic")]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn addresses_are_those_of_the_specification() {
        let (fabric, group) = (FabricId::new(0x2906_C908_D115_D362).unwrap(), GroupId::new(0x4321));
        let per_group = MulticastAddress::PerGroup.of(fabric, group);
        assert_eq!(per_group.to_string(), "ff35:40:fd29:6c9:8d1:15d3:6200:4321");
        let shared = MulticastAddress::Shared.socket_address(fabric, group);
        assert_eq!(shared.to_string(), "[ff05::fa]:5540");
    }
}
