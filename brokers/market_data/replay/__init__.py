"""The embedded market: prices as a formula of identity, symbol and time. Pure, numpy only."""
