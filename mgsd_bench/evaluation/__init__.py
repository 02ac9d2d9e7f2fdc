"""One model, one suite, one run folder: what is asked for, and carrying it out."""
