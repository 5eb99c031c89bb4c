//! Multinomial logistic regression by AdaGrad: each row pulls the weights of its features toward its intent.
//!
//! Rows come in an order that follows from the round alone, so that the same corpus gives the same weights on the same machine.

use ivy_domain::replies::classifier::{BUCKETS, INTENTS, features, softmax, value_of_each};

const ROUNDS: u64 = 40;
const RATE: f32 = 0.5;
/// How many values a weight has on either side of none. Finer ones tell nothing that could be measured, and coarse ones deflate to
/// two fifths: each function that reads replies carries them in its zip.
const LEVELS: f32 = 7.0;
/// What a weight loses with each row that touches it, as a part of itself.
const DECAY: f32 = 2e-5;

pub(crate) struct Example {
    features: Vec<usize>,
    intent: usize,
}

impl Example {
    /// `None` for an intent that there is not.
    pub(crate) fn new(text: &str, intent: &str) -> Option<Self> {
        let intent = INTENTS.iter().position(|known| known.name() == intent)?;
        Some(Self { features: features(text), intent })
    }
}

/// The weights as the classifier reads them: the means of the second half of the rounds, so that no row counts for having come last.
pub(crate) fn train(examples: &[Example]) -> Vec<u8> {
    const CLASSES: usize = INTENTS.len();
    let mut weights = vec![[0.0_f32; CLASSES]; BUCKETS];
    let mut squares = vec![[0.0_f32; CLASSES]; BUCKETS];
    let mut means = vec![[0.0_f32; CLASSES]; BUCKETS];
    let mut order: Vec<usize> = (0..examples.len()).collect();
    for round in 0..ROUNDS {
        shuffle(&mut order, round);
        for &at in &order {
            let Example { features, intent } = &examples[at];
            let value = value_of_each(features.len());
            let mut scores = [0.0; CLASSES];
            for &feature in features {
                for (score, weight) in scores.iter_mut().zip(weights[feature]) {
                    *score += weight * value;
                }
            }
            let mut slopes = softmax(scores);
            slopes[*intent] -= 1.0;
            for &feature in features {
                for class in 0..CLASSES {
                    let weight = &mut weights[feature][class];
                    let slope = slopes[class].mul_add(value, DECAY * *weight);
                    let square = &mut squares[feature][class];
                    *square += slope * slope;
                    *weight -= RATE * slope / (1e-6 + square.sqrt());
                }
            }
        }
        if round >= ROUNDS / 2 {
            for (mean, weight) in means.iter_mut().flatten().zip(weights.iter().flatten()) {
                *mean += weight / (ROUNDS - ROUNDS / 2) as f32;
            }
        }
    }
    as_bytes(&means)
}

/// Scaled to [`LEVELS`], a signed byte each.
fn as_bytes(weights: &[[f32; INTENTS.len()]]) -> Vec<u8> {
    let most = weights.iter().flatten().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    let scale = if most > 0.0 { most / LEVELS } else { 1.0 };
    let rows = weights.iter().flatten().map(|weight| ((weight / scale).round() as i8).cast_unsigned());
    scale.to_le_bytes().into_iter().chain(rows).collect()
}

/// Fisher and Yates, with numbers of SplitMix64.
fn shuffle(order: &mut [usize], seed: u64) {
    let mut state = seed;
    for last in (1..order.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        order.swap(last, (mixed % (last as u64 + 1)) as usize);
    }
}
