use rstest::rstest;

use super::*;

#[rstest]
#[case(0, "0")]
#[case(20_480, "20Ki")]
#[case(20_481, "21Ki")]
#[case(25_165_824, "24Mi")]
#[case(130 << 20, "130Mi")]
#[case(131 << 20, "140Mi")]
#[case(8 << 30, "8Gi")]
fn sizes_are_told_to_about_ten_percent(#[case] bytes: u64, #[case] told: &str) {
    assert_eq!(rough(bytes), told);
}
