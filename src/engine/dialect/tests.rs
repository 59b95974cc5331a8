//! Shapes the oracle cannot ask: errors, arguments, splitting, plans.
