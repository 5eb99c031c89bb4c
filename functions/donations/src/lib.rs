//! The Impact Wallet and the donations from it.

pub mod get_wallet;
