//! Cost of a Claude request (<https://platform.claude.com/docs/en/about-claude/pricing>).

use crate::policy::answer::Usage;
use crate::policy::limits::ClaudePolicy;
use crate::policy::money::NanoUsd;

/// Prefixes of model names, with US dollars per million input and output tokens, as of November 2026. The first prefix
/// that matches counts.
const PRICES: [(&str, f64, f64); 12] = [
    ("claude-haiku-5", 0.10, 0.50),
    ("claude-haiku", 1.0, 5.0),
    ("claude-3-5-haiku", 0.80, 4.0),
    ("claude-3-haiku", 0.25, 1.25),
    ("claude-sonnet-5", 2.0, 10.0),
    ("claude-sonnet", 3.0, 15.0),
    ("claude-opus-5-5", 4.0, 20.0),
    ("claude-opus-4-1", 15.0, 75.0),
    ("claude-opus-4-0", 15.0, 75.0),
    ("claude-opus-4-2", 15.0, 75.0),
    ("claude-opus", 5.0, 25.0),
    ("", 15.0, 75.0),
];

/// Cost of an input token, of a cache write and of a cache read, in hundredths of the input price.
const INPUT: i128 = 100;
const CACHE_WRITE: i128 = 125;
const CACHE_READ: i128 = 10;

/// Upper bound of the tokens that the API adds to a request with tools.
const ADDED_TOKENS: i128 = 1_000;

/// Token prices of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// US dollars per million input tokens.
    pub input_usd: f64,
    /// US dollars per million output tokens.
    pub output_usd: f64,
}

impl Price {
    /// Returns the price of a model: from the policy, or else from the built-in list. An unknown model gets the highest
    /// price.
    pub fn for_model(model: &str, policy: &ClaudePolicy) -> Self {
        let known = PRICES.iter().find(|(name, ..)| model.starts_with(name));
        let (input, output) = known.map_or((15.0, 75.0), |(_, input, output)| (*input, *output));
        Self { input_usd: policy.input_usd.unwrap_or(input), output_usd: policy.output_usd.unwrap_or(output) }
    }

    /// Returns the maximum cost of a request with this body. A token has at least one byte, and all input may be
    /// charged as a cache write.
    pub fn most(&self, body_bytes: usize, max_tokens: u32) -> NanoUsd {
        let tokens = i128::try_from(body_bytes).unwrap_or(i128::MAX).saturating_add(ADDED_TOKENS);
        self.nano_usd(tokens.saturating_mul(CACHE_WRITE), max_tokens.into())
    }

    /// Returns the cost of a response.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let input = i128::from(usage.input_tokens) * INPUT
            + i128::from(usage.cache_creation_input_tokens) * CACHE_WRITE
            + i128::from(usage.cache_read_input_tokens) * CACHE_READ;
        self.nano_usd(input, usage.output_tokens.into())
    }

    /// Returns the cost of `input` hundredths of input tokens and of `output` tokens, rounded up. The sum is one of whole
    /// numbers: floating point can round a sum up that needs no rounding, so that many answers together cost more than
    /// each for itself.
    fn nano_usd(&self, input: i128, output: i128) -> NanoUsd {
        // Rust's `as` saturates, and turns NaN into 0.
        let a_million = |usd: f64| (usd * 1e9).round() as i128;
        let input = input.saturating_mul(a_million(self.input_usd));
        let output = output.saturating_mul(100).saturating_mul(a_million(self.output_usd));
        let rounded_up = input.saturating_add(output).saturating_add(99_999_999) / 100_000_000;
        NanoUsd(i64::try_from(rounded_up).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_familys_price_and_an_unknown_the_highest() {
        let policy = ClaudePolicy::default();
        let of =
            |model: &str| (Price::for_model(model, &policy).input_usd, Price::for_model(model, &policy).output_usd);
        assert_eq!(of("claude-haiku-5-5"), (0.10, 0.50));
        assert_eq!(of("claude-haiku-4-5-20251001"), (1.0, 5.0));
        assert_eq!(of("claude-sonnet-5-5"), (2.0, 10.0));
        assert_eq!(of("claude-opus-4-8"), (5.0, 25.0));
        assert_eq!(of("claude-opus-4-20250514"), (15.0, 75.0));
        assert_eq!(of("claude-next"), (15.0, 75.0));
        let own = ClaudePolicy { input_usd: Some(0.2), ..policy };
        assert_eq!(Price::for_model("claude-haiku-5-5", &own).input_usd, 0.2);
    }

    #[test]
    fn a_request_never_costs_more_than_was_reserved() {
        let price = Price::for_model("claude-haiku-5-5", &ClaudePolicy::default());
        let usage = |input, output| Usage {
            input_tokens: input,
            output_tokens: output,
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: 0,
        };
        assert_eq!(price.cost(&usage(1_000, 100)), NanoUsd(150_000));
        assert_eq!(price.cost(&usage(0, 0)), NanoUsd(0));
        let all_written = Usage { cache_creation_input_tokens: 9_000, ..usage(0, 1_024) };
        assert!(price.cost(&all_written) <= price.most(9_000, 1_024));
        assert!(price.cost(&usage(u64::MAX, u64::MAX)) > NanoUsd(0), "no overflow");
        // In floating point some of these are a nano-dollar more.
        for tokens in 0..100_000 {
            assert_eq!(price.cost(&usage(tokens, tokens)), NanoUsd(600 * tokens as i64), "{tokens} tokens");
        }
    }
}
