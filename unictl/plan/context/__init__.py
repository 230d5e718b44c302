"""What a plan is made from: desired and live state side by side, the scope, what hosts remember of earlier applies."""
