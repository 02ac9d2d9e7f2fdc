"""What runs say: figures with intervals, why answers fail, and what two runs tell apart."""
