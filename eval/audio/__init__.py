"""Audio-quality proxies: how far the sound of a speaker is from human speech, where there is neither transcript nor
clean original.

A speaker is a number of clips, of which the stretches that the one detector takes for speech are joined, brought to one
level, and measured. Every proxy stands between two ends, measured on as much sound of the same places: real speech
beside other real speech (best, 100 %), and noise with the long-term spectrum and the gate of that speech (worst, 0 %).

    signals     what is measured: one channel [samples] at a rate in Hz; speech alone; damages of known kind
    embedding   what a small network for wake words hears, 96 numbers each 80 ms; where further embeddings enter
    deep_speech what our own recogniser hears, 64 numbers each 160 ms, by numpy
    spectra     log-mel statistics, long-term spectrum, modulation from 2 to 8 Hz
    pitch       f0, voicing, harmonics-to-noise ratio, by autocorrelation
    phones      phones a second and their entropy, by a phone recogniser
    dnsmos      a network's guess of the opinion of listeners: overall, signal, background
    distances   Frechet and kernel distances of two samples of vectors
    guards      collapse: silence, clipping, a constant sound, replay of training audio
    features    all of it for one clip, kept by the hash of the sound
    scale       from distances to percentages, and babble quality
    score       rows of clips beside real speech; intervals by dialogue

What each sees and what it is blind to stands in its docstring; `python -m eval.damage` shows it on known damage. Babble
quality is the mean percentage of the three Frechet distances and of pitch. It says nothing of timing and is never
merged with TTR.
"""
