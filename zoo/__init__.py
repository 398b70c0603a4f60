import babblezoo

babblezoo.use_our_datasets()
