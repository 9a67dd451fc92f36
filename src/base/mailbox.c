/* mailbox.c - a locked list and a uv_async_t to say that it is not empty. */
#include "base/mailbox.h"

static void deliver_all(struct mailbox *box)
{
	struct list mails;
	struct list_node *node;

	list_init(&mails);
	lock_acquire(&box->lock);
	list_splice(&mails, &box->mails);
	lock_release(&box->lock);
	while ((node = list_pop(&mails)))
		box->deliver(list_entry(node, struct mail, node), box->owner);
}

static void on_wakeup(uv_async_t *wakeup)
{
	deliver_all(wakeup->data);
}

int mailbox_init(struct mailbox *box, uv_loop_t *loop, mailbox_fn *deliver, void *owner)
{
	int err = uv_async_init(loop, &box->wakeup, on_wakeup);

	if (err < 0)
		return err;
	lock_init(&box->lock);
	list_init(&box->mails);
	box->closed = false;
	box->deliver = deliver;
	box->owner = owner;
	box->wakeup.data = box;
	return 0;
}

int mailbox_post(struct mailbox *box, struct mail *mail)
{
	int err = UV_ECANCELED;

	lock_acquire(&box->lock);
	if (!box->closed) {
		bool first = list_empty(&box->mails);

		list_push(&box->mails, &mail->node);
		/* Under the lock: once closed is set nobody may touch the async handle. */
		err = first ? uv_async_send(&box->wakeup) : 0;
	}
	lock_release(&box->lock);
	return err;
}

static void on_closed(uv_handle_t *handle)
{
	struct mailbox *box = handle->data;

	/* The lock stays: a late mailbox_post() must still find out that it is late. */
	if (box->done)
		box->done(handle);
}

void mailbox_close(struct mailbox *box, uv_close_cb done)
{
	lock_acquire(&box->lock);
	box->closed = true;
	lock_release(&box->lock);
	deliver_all(box);
	box->done = done;
	uv_close((uv_handle_t *)&box->wakeup, on_closed);
}
