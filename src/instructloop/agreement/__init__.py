"""How far people agree: pairwise agreement, Cohen's and Fleiss' kappa, Krippendorff's alpha, Kendall's tau-b, each with its n."""
