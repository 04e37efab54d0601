//! Any one call of a follow-up's transitions may fail, lose its response, be shown half, or be the last one.
